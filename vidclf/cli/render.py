"""`vidclf render`: makes labelled clips to measure detection and classification on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

from vidclf.cli.options import DEBUG, FilePath, Number
from vidclf.rendering.levels import LEVELS


class Size(click.ParamType):
    """A picture size like 640x360."""

    name = "WIDTHxHEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """(width, height), both even, as most codecs need it."""
        found = re.fullmatch(r"(\d+)x(\d+)", str(value))
        size = (int(found[1]), int(found[2])) if found else (0, 0)
        if not (min(size) >= 64 and max(size) <= 4096 and size[0] % 2 == size[1] % 2 == 0):
            self.fail(f"{value!r} is not a size: WIDTHxHEIGHT, even numbers from 64 to 4096", param, ctx)
        return size


@click.command()
@click.option("-o", "--output", required=True, type=FilePath(path_type=Path, file_okay=False), help="Folder.")
@click.option(
    "--data",
    type=FilePath(path_type=Path),
    metavar="DIR",
    help="Use the test pictures in this folder (see train); default: the ten drawn garments of the sample clip.",
)
@click.option("--level", type=click.Choice(list(LEVELS)), default="easy", show_default=True, help="Difficulty.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed.")
@click.option("--clips", type=click.IntRange(1, 1000), default=1, show_default=True, help="Number of clips.")
@click.option("--seconds", type=Number(3, 600), default=12.0, show_default=True, help="Length of a clip.")
@click.option("--size", type=Size(), default="640x360", show_default=True, help="Picture size in pixels.")
@click.option("--verify/--no-verify", default=True, help="Verify the checksums of Fashion-MNIST's files.")
@click.option("--force", is_flag=True, help="Overwrite existing clips.")
@click.option("--quiet", is_flag=True, help="No progress on stderr.")
@DEBUG
def render(
    output: Path,
    data: Path | None,
    level: str,
    seed: int,
    clips: int,
    seconds: float,
    size: tuple[int, int],
    verify: bool,
    force: bool,
    quiet: bool,
) -> None:
    """Render clips of moving objects with truth files: clip-000.mp4, clip-000.truth.jsonl, ...

    Objects come from pictures not used in training. easy: one at a time in front of a plain wall. street: several
    with shadows in front of a textured wall, and camera noise. hard: also a shaking camera, changing light, pillars
    in front, dark objects. The first second is empty. The same options produce the same pixels.

    \b
    Examples:
      vidclf render -o clips --data FOLDER --level street --clips 3
      vidclf run clips/clip-000.mp4 --record found.jsonl
      vidclf score found.jsonl clips/clip-000.truth.jsonl
    """
    from vidclf.files import PartFile
    from vidclf.rendering.clip import RATE, Clip
    from vidclf.rendering.wardrobe import drawn, from_pictures
    from vidclf.video.encoder import Encoder

    wardrobe = drawn() if data is None else from_pictures(data, verify)
    names = [output / f"clip-{number:03d}" for number in range(clips)]
    for name in names:  # check all of them before rendering the first
        for path in (name.with_suffix(".mp4"), name.with_suffix(".truth.jsonl")):
            PartFile(path, force)
    for number, name in enumerate(names):
        clip = Clip(wardrobe, LEVELS[level], size, seconds, seed, number)
        with (
            PartFile(name.with_suffix(".truth.jsonl"), force) as truth_part,
            PartFile(name.with_suffix(".mp4"), force) as part,
            truth_part.open("w", encoding="utf-8", newline="\n") as truth,
        ):
            encoder = Encoder(part, "mp4", ["libx264"], size, RATE, 1 / RATE, quality=18)
            try:
                for index, (picture, rows) in enumerate(clip):
                    encoder.write(picture, index)
                    truth.writelines(json.dumps(row) + "\n" for row in rows)
            finally:
                encoder.close()
        if not quiet:
            objects = f"{len(clip.actors)} object{'s' if len(clip.actors) > 1 else ''}"
            click.echo(f"{name}.mp4: {clip.frames} frames, {objects}", err=True)
