"""The command line: arguments to settings to a command to an exit status; one file per verb."""
