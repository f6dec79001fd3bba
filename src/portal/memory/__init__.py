"""What Portal knows about its user: remembered, recalled, corrected and forgotten."""
