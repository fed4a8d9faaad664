"""Nothing lost: each promise of docs/reliability.md as a row that is tried many times.

harness    tallies, forked children, micro runs
disks      disks that remember, fail, fill up, or lose their power
saving     rows T2 to T8, T18, T20: what is on the disk
going_on   rows T1, T9 to T13, T15 to T17, T19, T21: what a run does
inputs     rows C1 to C6, C8: what is given to it
serving    rows S1 to S10, S19, S20: the server
hostile    row S17, and the texts that would run in a page or steer a terminal
rows       the table: how often in `make test`, how often in `make soak`
variants   planted defects; each must turn its row red
soak       runs it all and prints a table
"""
