import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface ProxyOptions {
  /** Milliseconds that every byte takes longer, each way. */
  delay?: number;
  /** Cuts a connection once so many of its bytes went that way; what comes before them arrives. */
  cut?: { after: number; towards: 'server' | 'client' };
  /** A connection that was idle for so many ms is forgotten: both ends stay open, and hear nothing any more. */
  forgets?: number;
  /** While it says so, nothing passes, and who connects is not answered. */
  frozen?: () => boolean;
  /**
   * Called with the number of each round trip before it begins; `cut`: its bytes are not passed on any more; a promise:
   * they are passed on once it is resolved.
   */
  onRoundTrip?(number: number): 'cut' | void | Promise<void>;
}

export interface Proxy extends AsyncDisposable {
  /** The same URL, through it. */
  through(url: string): string;
  /** What has happened since the start, over all connections. */
  readonly counts: {
    connections: number;
    toServer: number;
    toClient: number;
    /** How often the client spoke after the server had: a message that it sends without waiting counts once. */
    roundTrips: number;
  };
  /** Changed at any time, it applies to new connections. */
  options: ProxyOptions;
  /** Cuts all connections that are open now. */
  cutAll(): void;
  stop(): Promise<void>;
}

/** A TCP proxy in front of the server of a URL, for bad networks. */
export async function startProxy(serverUrl: string, options: ProxyOptions = {}): Promise<Proxy> {
  const target = new URL(serverUrl);
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    proxy.counts.connections += 1;
    const upstream = connect({
      host: target.hostname,
      port: Number(target.port || 5432),
      noDelay: true,
      allowHalfOpen: true,
    });
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on('error', cut);
      socket.on('close', () => open.delete(socket));
    }
    const limit = (towards: 'server' | 'client'): number =>
      proxy.options.cut?.towards === towards ? proxy.options.cut.after : Number.POSITIVE_INFINITY;
    const delay = proxy.options.delay ?? 0;
    let answered = true;
    let last = Date.now();
    const isForgotten = (): boolean => {
      const now = Date.now();
      const forgotten = now - last > (proxy.options.forgets ?? Infinity) || proxy.options.frozen?.() === true;
      // What was forgotten once stays so.
      last = forgotten ? -Infinity : now;
      return forgotten;
    };
    forward(client, upstream, delay, limit('server'), cut, (bytes) => {
      if (isForgotten()) return new Promise(() => undefined);
      proxy.counts.toServer += bytes;
      if (!answered) return true;
      proxy.counts.roundTrips += 1;
      answered = false;
      const what = proxy.options.onRoundTrip?.(proxy.counts.roundTrips);
      return what instanceof Promise ? what : what !== 'cut';
    });
    forward(upstream, client, delay, limit('client'), cut, (bytes) => {
      if (isForgotten()) return new Promise(() => undefined);
      proxy.counts.toClient += bytes;
      answered = true;
      return true;
    });
  });
  const cutAll = (): void => {
    for (const socket of open) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    if (!server.listening) return;
    server.close();
    cutAll();
    await once(server, 'close');
  };
  const proxy: Proxy = {
    through: (url) => {
      const through = new URL(url);
      through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
      return through.href;
    },
    counts: { connections: 0, toServer: 0, toClient: 0, roundTrips: 0 },
    options,
    cutAll,
    stop,
    [Symbol.asyncDispose]: stop,
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return proxy;
}

function forward(
  from: Socket,
  to: Socket,
  delay: number,
  limit: number,
  cut: () => void,
  /** False: what was counted last is not passed on. */
  count: (bytes: number) => boolean | Promise<void>,
): void {
  let left = limit;
  const later = (act: () => void): void => {
    // Timers of the same length go off in the order in which they were set.
    if (delay > 0) setTimeout(act, delay);
    else act();
  };
  from.on('data', (chunk: Buffer) => {
    const part = chunk.subarray(0, left);
    left -= part.length;
    const last = left <= 0;
    const pass = (): void =>
      later(() => {
        if (!to.destroyed) to.write(part, last ? cut : undefined);
      });
    const counted = count(part.length);
    if (counted === false) return cut();
    if (counted === true) return pass();
    from.pause();
    void counted.then(() => {
      pass();
      from.resume();
    });
  });
  from.on('end', () => later(() => to.end()));
  from.on('close', () => later(() => to.destroySoon()));
}
