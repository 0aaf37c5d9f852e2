"""Process 4: HTTP; owns the schema, the registry and the command line."""
