"""Every interface an adapter or plugin implements, one small Protocol per file."""
