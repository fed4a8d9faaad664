"""One sitting of work on a run: the only room where text, model, training and run folder meet.

prepare   a text becomes a run that can begin
training  steps, evaluations, saves; stopping and going on
judging   the loss of a model on any text
comparing two models on the same text
several   many runs in one folder: the ladder, the sweep and its law
"""
