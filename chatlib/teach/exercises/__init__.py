"""What each exercise asks for, and how an answer is tried out."""
