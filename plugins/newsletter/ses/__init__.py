"""The only door to Amazon SES: `submit` on the way out, `queue` and `events` on the way back."""
