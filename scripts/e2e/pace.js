// What the scripts of the load share: how often they ask, whom, and the line that tells of a request.
import exec from 'k6/execution';

export const targets = __ENV.TARGETS.split(',');
export const timeout = `${__ENV.TIMEOUT}s`;

export function pace(kind) {
  const rate = Number(__ENV.RATE);
  const users = 12;
  return {
    executor: 'constant-arrival-rate',
    exec: kind === 'new' ? 'fresh' : 'kept',
    rate,
    timeUnit: '1s',
    duration: '24h', // until it is told to stop
    preAllocatedVUs: users,
    maxVUs: kind === 'new' ? Math.ceil(rate * Number(__ENV.TIMEOUT)) : Math.max(users, rate),
    gracefulStop: '0s',
  };
}

// A user tells that it asks, and what became of it: of what is under way at the end nobody would know otherwise.
export function begin(kind, target) {
  const at = Date.now() / 1000;
  console.log(JSON.stringify({ user: exec.vu.idInTest, at, kind, target }));
  return at;
}

export function record(request) {
  console.log(JSON.stringify({ user: exec.vu.idInTest, ...request }));
}
