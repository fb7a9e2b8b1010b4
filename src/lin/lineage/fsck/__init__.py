"""`lin fsck`: a whole store looked over, and what is wrong moved aside."""
