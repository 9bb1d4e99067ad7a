/**
 * The environment of Node processes of ours: this one's, but for what makes each of them start later. Certificates are parsed at
 * Node's start whether or not anything speaks TLS: 45 ms for what a distribution ships. And flags for V8 (NODE_OPTIONS, often
 * --max-old-space-size) make it refuse kept code, Node's own and ours: a VM's start takes twice as long.
 */
export function nodeEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_OPTIONS: undefined, ...more };
}
