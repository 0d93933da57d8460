"""Who is right: the Graph in float64, Keras, and the golden vectors."""
