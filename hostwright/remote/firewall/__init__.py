"""What comes into this server: rules, how they are put in force, what they would cut."""
