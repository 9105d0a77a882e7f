// Sends requests at a fixed rate and writes a line of JSON for every one that came to an end.
// "new" opens a connection for every request; "kept" holds one open per user. The kept ones are POSTs, which an
// HTTP client may not send again by itself when it finds the connection closed. Each of them is used about once a
// second or more often: a server that is about to stop tells it in its answers, and a connection that asks nothing in
// those seconds is closed without a word, maybe just when a request is on its way. No server can help that.
import http from 'k6/http';

import { begin, record, scenarios, timeout } from './pace.js';

const proof = __ENV.PROOF ? __ENV.PROOF.split('.') : null; // where an answer says who gave it, behind the server
const version = __ENV.VERSION_AT.split('.');
const statuses = __ENV.STATUSES.split(',').map(Number);
const given = JSON.parse(__ENV.HEADERS); // those that the readiness probe sends

export const options = {
  scenarios,
  userAgent: 'gati-availability',
  insecureSkipTLSVerify: true, // the certificates of a test are nobody's
};

function at_path(body, path) {
  return path.reduce((part, key) => (part && part[key]) || '', body);
}

function note(asked, answer) {
  let body = {};
  try {
    body = answer.json() || {};
  } catch (error) {
    body = {};
  }
  const accepted = statuses.includes(answer.status);
  const refused = answer.status && !accepted ? `not ${statuses.join(' or ')}` : '';
  // Where no connection came about, there are no timings: what was waited for it counts nowhere.
  const told = answer.status ? answer.timings.blocked + answer.timings.duration : Date.now() - asked.at * 1000;
  record({
    ...asked,
    seconds: told / 1000,
    status: answer.status,
    error: accepted ? '' : answer.error || refused,
    pod: `${body.pod || ''}`,
    version: `${at_path(body, version)}`,
    behind: `${proof ? at_path(body, proof) : accepted ? asked.target : ''}`,
    accepted,
  });
}

export default function () {
  const asked = begin();
  const [method, headers] = asked.kind === 'new' ? [__ENV.METHOD, { Connection: 'close' }] : [__ENV.KEPT_METHOD, {}];
  const body = method === 'GET' || method === 'HEAD' ? null : '{}';
  const type = body ? { 'Content-Type': 'application/json' } : {};
  const params = { headers: { ...type, ...given, ...headers }, timeout, redirects: 0 };
  note(asked, http.request(method, asked.target, body, params));
}
