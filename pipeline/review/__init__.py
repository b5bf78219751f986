"""What reviewers decide: checked, matched with what is measured now, and turned into numbers of their own. Pure."""
