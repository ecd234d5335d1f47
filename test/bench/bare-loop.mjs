// The floor of P4: connect, one message, end, for the databases <name>1 to <name>N; nothing else.
import pg from 'pg';

const [url, count, concurrency, sql] = process.argv.slice(2);
let next = 1;
const lane = async () => {
  for (let number = next++; number <= Number(count); number = next++) {
    const client = new pg.Client(`${url}${number}`);
    await client.connect();
    await client.query(sql);
    await client.end();
  }
};
await Promise.all(Array.from({ length: Number(concurrency) }, lane));
