// The peer's HTTP surface: Fastify, which puts jobs into BullMQ. The argument is the port of Redis.
import Fastify from 'fastify';
import { Queue } from 'bullmq';

const [port] = process.argv.slice(2).map(Number);
const queue = new Queue('bench', { connection: { host: '127.0.0.1', port } });
const app = Fastify({ logger: false });

app.post('/jobs', async (request, reply) => {
  const { kind, input } = request.body;
  const job = await queue.add(kind, input, { removeOnComplete: true });
  reply.code(202);
  return { id: job.id, state: 'queued', kind };
});

const address = await app.listen({ host: '127.0.0.1', port: 0 });
console.log(`ready at ${address}`);
