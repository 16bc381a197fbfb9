"""The only door to Amazon SES: `submit` on the way out, `events` (issue by issue) on the way back."""
