"""From an alert to teams on the way: incidents, the ranking of units, dispatches, their tracks."""
