"""The words of the system and its wire formats: standard library only, shared with the phone."""
