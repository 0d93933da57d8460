"""What an exported file must be before anybody asks what it predicts."""
