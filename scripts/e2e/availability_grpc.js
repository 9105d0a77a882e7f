// As availability.js, for servers of gRPC: asks for their health. "new" connects for every call, "kept" holds one
// connection open per user, on which gRPC itself follows a server that says that it goes. One that says there that it
// does not serve any more has told its client to go elsewhere, which it does: it connects anew and asks again, once.
import grpc from 'k6/net/grpc';

import { begin, record, scenarios, timeout } from './pace.js';

const client = new grpc.Client();
client.load([], 'health.proto');
let connected = false;

export const options = { scenarios };

function check(target) {
  if (!connected) {
    client.connect(target, { plaintext: true, timeout });
    connected = true;
  }
  return client.invoke('grpc.health.v1.Health/Check', { service: __ENV.GRPC_SERVICE }, { timeout });
}

export default function () {
  const asked = begin();
  const { at, kind, target } = asked;
  const close = kind === 'new';
  let answer = { status: 0, error: '' };
  try {
    let said = check(target);
    if (!close && said.status === grpc.StatusOK && said.message.status === 'NOT_SERVING') {
      client.close();
      connected = false;
      said = check(target);
    }
    const serves = said.status === grpc.StatusOK && said.message.status === 'SERVING';
    const error = said.error ? `status ${said.status}: ${said.error.message}` : `health ${said.message.status}`;
    answer = { status: serves ? 200 : 0, error: serves ? '' : error };
  } catch (error) {
    answer.error = `${error}`;
  }
  if (close || answer.error) {
    client.close();
    connected = false;
  }
  const seconds = Date.now() / 1000 - at;
  record({ ...asked, seconds, ...answer, behind: answer.error ? '' : target });
}
