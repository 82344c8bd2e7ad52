"""The typed tree of tollhouse.yaml and the snapshot compiled from it. Pure: text in, values or problems out."""
