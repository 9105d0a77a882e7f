// Sends requests at a fixed rate and writes a line of JSON for every one that came to an end.
// "new" opens a connection for every request; "kept" holds one open per user. The kept ones are POSTs, which an
// HTTP client may not send again by itself when it finds the connection closed. Each of them is used about once a
// second or more often: a server that is about to stop tells it in its answers, and a connection that asks nothing in
// those seconds is closed without a word, maybe just when a request is on its way. No server can help that.
import exec from 'k6/execution';
import http from 'k6/http';

const targets = __ENV.TARGETS.split(',');
const timeout = `${__ENV.TIMEOUT}s`;
const proof = __ENV.PROOF.split('.'); // where an answer says who gave it, behind the server that was asked
const pace = {
  executor: 'constant-arrival-rate',
  rate: Number(__ENV.RATE),
  timeUnit: '1s',
  duration: '24h', // until it is told to stop
  preAllocatedVUs: 12,
  maxVUs: Math.ceil(Number(__ENV.RATE) * Number(__ENV.TIMEOUT)),
  gracefulStop: '0s',
};

const kinds = {
  new: { ...pace, exec: 'fresh' },
  kept: { ...pace, maxVUs: Math.max(pace.preAllocatedVUs, pace.rate), exec: 'kept' },
};

export const options = {
  scenarios: Object.fromEntries(__ENV.KINDS.split(',').map((kind) => [kind, kinds[kind]])),
  userAgent: 'gati-availability',
  insecureSkipTLSVerify: true, // the certificates of a test are nobody's
};

function record(kind, target, at, answer) {
  if (answer.error.includes('context canceled')) {
    return; // under way when we were told to stop: nobody will know what became of it
  }
  let body = {};
  try {
    body = answer.json() || {};
  } catch (error) {
    body = {};
  }
  console.log(
    JSON.stringify({
      at,
      kind,
      target,
      seconds: (answer.timings.blocked + answer.timings.duration) / 1000,
      status: answer.status,
      error: answer.error,
      pod: body.pod || '',
      version: body.version || '',
      behind: proof.reduce((part, key) => (part && part[key]) || '', body),
    }),
  );
}

export function fresh() {
  const target = targets[exec.scenario.iterationInTest % targets.length];
  const at = Date.now() / 1000;
  record('new', target, at, http.get(target, { headers: { Connection: 'close' }, timeout }));
}

export function kept() {
  const target = targets[exec.vu.idInTest % targets.length];
  const at = Date.now() / 1000;
  record('kept', target, at, http.post(target, '{}', { headers: { 'Content-Type': 'application/json' }, timeout }));
}
