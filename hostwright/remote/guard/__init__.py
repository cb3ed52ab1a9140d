"""Lock-out protection: what decides who gets in is put back unless a new login proves that we still do.

trees     what is kept, and what is reloaded when it is put back
snapshot  keeps it, on disk
revert    puts it back: a program of its own, which needs nothing of the agent
guard     arms, proves, disarms
"""
