"""The `vidclf` program: finds the command, and turns every error into one line and the right exit code."""

from __future__ import annotations

import errno
import sys

INTERRUPTED = 130
try:
    import traceback
    from importlib import import_module
    from reprlib import repr as shown  # of a value that may be long
    from typing import Any

    import click

    from vidclf import __version__
    from vidclf.cli.lossy import flush, lossy_stderr
    from vidclf.errors import UsageError, VidclfError, describe
except KeyboardInterrupt:  # most of the time before `main` begins is spent here
    sys.exit(INTERRUPTED)

# Name: (location, line in `vidclf --help`). Kept here so that --help imports none of the commands.
COMMANDS = {
    "run": ("vidclf.cli.run:run", "Turn a video into an annotated video and a table of detections."),
    "batch": ("vidclf.cli.batch:batch", "Run every clip in a folder; a second run continues."),
    "demo": ("vidclf.cli.demo:demo", "Run the shipped sample clip through the default pipeline, offline."),
    "stages": ("vidclf.cli.stages:stages", "List the stages a pipeline file can use, with their options."),
    "render": ("vidclf.cli.render:render", "Render labelled clips to measure detection and classification on."),
    "score": ("vidclf.cli.score:score", "Compare a record with a truth file."),
    "train": ("vidclf.cli.train:train", "Train a classifier and write the weights the pipeline uses."),
    "eval": ("vidclf.cli.evaluate:evaluate", "Measure a classifier's weights on test pictures."),
    "export": ("vidclf.cli.export:export", "Write a classifier for ONNX Runtime, OpenVINO or TorchScript."),
    "import": ("vidclf.cli.import_weights:import_weights", "Convert weights saved by a predecessor's trainer."),
    "bench": ("vidclf.cli.bench:bench", "Measure vidclf on this machine, against the loops it replaces."),
    "models": ("vidclf.cli.models:models", "List the networks with their cost and accuracy."),
    "doctor": ("vidclf.cli.doctor:doctor", "Show what vidclf finds on this machine, and what is wrong with it."),
}


class LazyGroup(click.Group):
    """Lists its commands without importing them, so that --help answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:  # click's own suggestions know only imported commands
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
def cli() -> None:
    """Detect, crop, classify and annotate objects in a video, and train the classifier.

    \b
    Examples:
      vidclf demo
      vidclf run in.mp4 -o out.mp4 --record out.jsonl
      vidclf run in.mp4 -o out.mp4 -p person --detector-weights yolo11n.pt
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    with lossy_stderr():
        code = run(arguments)
    flush(sys.stderr)
    sys.exit(code if flush(sys.stdout) else code or 1)


def run(arguments: list[str]) -> int:
    """Run the command line, report its errors, and return its exit code."""
    try:
        code: Any = cli.main(args=arguments, prog_name="vidclf", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context else ""
        click.echo(f"Error: {error.format_message()}{where}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as with `vidclf models | head`
        return 1
    except Exception as raised:
        failure = explained(raised)
        report(failure, debug="--debug" in arguments)
        return failure.exit_code if isinstance(failure, VidclfError) else 1


def explained(error: Exception) -> Exception:
    """The error, or a UsageError for a file name that is too long, or in a folder that may not be entered.

    Even asking whether such a file exists may raise these. The error of a stage has notes on where it was, and stays.
    """
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        usage = UsageError(f"the file name {shown(str(error.filename))} is too long")
    elif isinstance(error, PermissionError) and error.filename and not hasattr(error, "__notes__"):
        usage = UsageError(f"{error.filename}: {error.strerror}")
    else:
        return error
    usage.__cause__ = error
    return usage


def report(error: Exception, debug: bool) -> None:
    """Print an error as one line on stderr; with `debug`, also its traceback."""
    if debug:
        traceback.print_exception(error)
    hint = "" if debug or isinstance(error, VidclfError) else " (--debug shows where)"
    click.echo(f"Error: {describe(error)}{hint}", err=True)
