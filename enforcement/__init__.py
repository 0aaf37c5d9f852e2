"""Process 3: lead to case."""
