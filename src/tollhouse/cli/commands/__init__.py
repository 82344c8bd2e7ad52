"""One file per verb. Each is loaded only when it is called."""
