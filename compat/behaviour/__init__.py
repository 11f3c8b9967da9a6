"""Behaviours that break on brokers that imitate Kafka, asked for frame by frame.

One module for each of the points that test authors and client authors have met on other brokers;
`dNN` in a module's name counts them. What is expected is what Apache Kafka 4.3 answers.
"""
