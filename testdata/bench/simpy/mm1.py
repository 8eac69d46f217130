"""M/M/1 in SimPy: one server, first come first served. Prints version, processor seconds and mean response.

mm1.py REQUESTS RATE MEAN SEED: so many requests, as many a second, that take so many seconds on average.
"""

import random
import sys
import time

import simpy


def main():
    requests, rate, mean, seed = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    draw = random.Random(seed).expovariate
    env = simpy.Environment()
    server = simpy.Resource(env, capacity=1)
    total = 0.0

    def request():
        nonlocal total
        came = env.now
        with server.request() as turn:
            yield turn
            yield env.timeout(draw(1 / mean))
        total += env.now - came

    def arrivals():
        for _ in range(requests):
            yield env.timeout(draw(rate))
            env.process(request())

    env.process(arrivals())
    began = time.process_time()
    env.run()
    print(simpy.__version__, time.process_time() - began, total / requests)


main()
