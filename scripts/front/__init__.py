"""What a person calls: the tasks by group, each its flags and one call, and what all of them do alike."""
