"""The command line: arguments → settings → one command → an exit status. One file per verb under `commands`."""
