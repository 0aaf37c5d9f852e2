"""Process 1: MQTT to database to acknowledgement."""
