"""The command line: one file a command group; every command is imported when it is called."""
