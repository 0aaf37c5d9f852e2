"""Process 2: observation to assessment to alert to people and teams."""
