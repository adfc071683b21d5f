"""Events for a message broker: made from rows, kept on disk, delivered by a courier."""
