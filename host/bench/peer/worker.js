// The peer's worker: BullMQ with a handler that returns its input. The arguments are the port of Redis and the concurrency; lines
// on standard input say what to do: `fill N BODY`, `drain N`, `run`, `began`.
import { createInterface } from 'node:readline';
import { Queue, Worker } from 'bullmq';

const [port, concurrency] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const queue = new Queue('bench', { connection });

const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1000);
const began = [];
let firstBeganUs = 0;
let done = 0;
let goal = 0;
let isRunning = false;

const worker = new Worker(
  'bench',
  async (job) => {
    const at = nowUs();
    firstBeganUs ||= at;
    if (job.data.seq !== undefined) began.push([job.data.seq, at]);
    return job.data;
  },
  { connection, concurrency, autorun: false },
);
worker.on('error', (error) => console.error(error));
worker.on('completed', () => {
  done += 1;
  if (done === 1) console.log('first');
  if (done === goal) console.log(`drained ${(nowUs() - firstBeganUs) / 1e6}`);
});

async function run() {
  if (isRunning) return queue.resume();
  isRunning = true;
  worker.run();
}

async function fill(count, body) {
  if (isRunning) await queue.pause();
  const { kind: name, input: data } = JSON.parse(body);
  for (let left = count; left > 0; left -= 1000) {
    const job = { name, data, opts: { removeOnComplete: true } };
    await queue.addBulk(Array(Math.min(left, 1000)).fill(job));
  }
  console.log('filled');
}

await worker.waitUntilReady();
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [word, count, ...body] = line.split(' ');
  if (word === 'fill') await fill(Number(count), body.join(' '));
  if (word === 'drain') {
    [firstBeganUs, goal] = [0, done + Number(count)];
    await run();
  }
  if (word === 'run') await run();
  if (word === 'began') console.log(`began ${JSON.stringify(began.splice(0))}`);
}
