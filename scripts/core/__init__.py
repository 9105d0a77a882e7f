"""What every part stands on: errors, configuration, programs, files, git, and stopping."""
