"""What an artifact's file holds: its weights, read back and compared with the Graph's."""
