// What the scripts of the load share: how often they ask, whom, and the line that tells of a request.
import exec from 'k6/execution';

export const targets = __ENV.TARGETS.split(',');
export const timeout = `${__ENV.TIMEOUT}s`;

// A scenario for each kind of connection, called after it.
export const scenarios = Object.fromEntries(__ENV.KINDS.split(',').map((kind) => [kind, pace(kind)]));

function pace(kind) {
  const rate = Number(__ENV.RATE);
  const users = 12;
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration: '24h', // until it is told to stop
    preAllocatedVUs: users,
    maxVUs: kind === 'new' ? Math.ceil(rate * Number(__ENV.TIMEOUT)) : Math.max(users, rate),
    gracefulStop: '0s',
  };
}

// A user tells that it asks, and what became of it: of what is under way at the end nobody would know otherwise.
// A connection that is kept belongs to a user, and leads to one target; the others take turns.
export function begin() {
  const kind = exec.scenario.name;
  const turn = kind === 'new' ? exec.scenario.iterationInTest : exec.vu.idInTest;
  const asked = { at: Date.now() / 1000, kind, target: targets[turn % targets.length] };
  record(asked);
  return asked;
}

export function record(request) {
  console.log(JSON.stringify({ user: exec.vu.idInTest, ...request }));
}
