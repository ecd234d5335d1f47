import type { Socket } from 'node:net';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import { MpmError } from '../errors.ts';
import { bind } from './bind.ts';
import { type Answer, Message, type MessageOptions, type Result, type ResultTable } from './message.ts';
import type { KyselyOptions } from './kysely.ts';
import { identifier } from './quote.ts';
import { knownRoles, learnRoles, type SessionRoles } from './roles.ts';
import {
  closingSettings,
  heldSettings,
  holdSession,
  keepIdleSession,
  openingSettings,
  ownSettings,
  SESSION_PATH,
  SESSION_STATEMENTS,
  settingsBehindBegin,
  type SettingsFacts,
} from './settings.ts';
import {
  boundError,
  databaseFields,
  endsConnection,
  isRowSecurity,
  isServerError,
  SQLSTATE,
  sqlstateOf,
} from './sqlstate.ts';
import { type Vigil, Watch } from './vigil.ts';

/** The settings of a transaction of ours around statements that are not: at its beginning, and behind theirs. */
export interface SettingsAround {
  opening: readonly string[];
  closing: readonly string[];
}

/** Sends statements of ours, behind {@link ownSettings}. */
export interface Sender {
  /** Any number of statements in one message; the last one's rows. */
  query<R = Record<string, unknown>>(sql: string): Promise<R[]>;
  /** As `query`, with what each statement returned. */
  send(sql: string): Promise<Answer>;
  /** As `query`, one statement with values for $1, $2, … */
  prepared<R = Record<string, unknown>>(sql: string, values: readonly unknown[]): Promise<R[]>;
}

/**
 * One connection to one database. A dead connection is an error of the query in work, never of the process.
 *
 * `query`, `send` and `prepared` are for statements of ours: they run behind {@link ownSettings}, so that nothing that
 * a role, a database or a tenant's objects do changes what they mean, and cost no round trip for it. Tables and types
 * are always qualified, because pg_temp is searched first for those. `alone` is for what must stand alone in its
 * message. `raw`, `execute` and `read` send what is not ours, as it is.
 */
export class Connection implements Sender {
  readonly #client: pg.Client;
  readonly #reported = new Map<string, string>();
  #answered: readonly Result[] = [];
  #lost: Error | undefined;
  #roles: SessionRoles | undefined;
  /** What is set for the session: nothing yet, that idling does not end it, or all that `alone` needs. */
  #session: 'as it came' | 'kept' | 'held' = 'as it came';
  #direct = false;
  /** Whether the server has not said yet, after what was sent last, that it takes more. */
  #busy = false;
  #onReady: (() => void)[] = [];
  /** Of the message that is in work. */
  #watch: Watch | undefined;
  #hurried = false;
  /** How it is looked after while the server says nothing; not at all without. */
  vigil: Vigil | undefined;
  /** The error of the last query that failed; what a migration swallowed. */
  lastError: unknown;
  /** Makes what is thrown when the connection is lost; without it, the driver's own error is. */
  describeLoss: ((cause: unknown) => Error) | undefined;

  constructor(client: pg.Client) {
    this.#client = client;
    // Without a listener, a FATAL on an idle client ends the whole process.
    client.on('error', (error) => {
      this.#lost ??= error;
    });
    const wire = client.connection as unknown as NodeJS.EventEmitter;
    wire.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => {
      this.#reported.set(message.parameterName, message.parameterValue);
    });
    const ready = () => {
      this.#busy = false;
      for (const tell of this.#onReady.splice(0)) tell();
    };
    wire.on('readyForQuery', ready);
    client.on('end', ready);
  }

  async query<R = Record<string, unknown>>(sql: string): Promise<R[]> {
    return (await this.send(sql)).rows as R[];
  }

  send(sql: string): Promise<Answer> {
    return this.#send(sql, []);
  }

  async prepared<R = Record<string, unknown>>(sql: string, values: readonly unknown[]): Promise<R[]> {
    return this.query<R>(bind(sql, values));
  }

  /**
   * For the application's tables in the central database, which are in no tenant's reach: their types, triggers and
   * defaults find names as the session does.
   */
  readonly application: Sender = {
    query: async <R>(sql: string) => (await this.application.send(sql)).rows as R[],
    send: (sql) => this.#send(sql, [SESSION_PATH]),
    prepared: <R>(sql: string, values: readonly unknown[]) => this.application.query<R>(bind(sql, values)),
  };

  async #send(sql: string, also: readonly string[]): Promise<Answer> {
    const own = await this.ownSettings();
    const inFront = own.length ? [...own, ...also] : [];
    const keeps =
      this.#session === 'as it came' && this.transaction === 'idle' && this.#roles?.endsIdle !== false;
    const keep = keeps ? `${keepIdleSession(this.backendPid)};\n` : '';
    const message = `${keep}${inFront.map((each) => `${each};\n`).join('')}${sql}`;
    const skip = inFront.length + (keeps ? SESSION_STATEMENTS : 0);
    const { answer } = await this.#message([message], { skip }).catch(this.#explain);
    if (keeps) this.#session = 'kept';
    return answer;
  }

  /**
   * A statement of ours that must stand alone in its message, as CREATE DATABASE. What its settings need is set for the
   * session before, once; not behind a pooler.
   */
  async alone<R = Record<string, unknown>>(sql: string): Promise<R[]> {
    await this.holdSession();
    const { answer } = await this.#message([sql]).catch(this.#explain);
    return answer.rows as R[];
  }

  /** What a statement of ours can meet anywhere, in our own words. */
  readonly #explain = (error: unknown): never => {
    if (!isServerError(error)) throw error;
    const options = { subject: this.database, cause: error, database: databaseFields(error) };
    const user = this.#roles?.role ?? this.#login;
    if (isRowSecurity(error)) {
      throw new MpmError('ROW_SECURITY', `a policy hides rows from "${user}": ${error.message}`, {
        ...options,
        hint: `mpm-migrate needs the complete list. Let the user see all rows: alter role ${identifier(user)} bypassrls;`,
      });
    }
    if (error.code !== SQLSTATE.readOnly) throw error;
    if (this.#facts.standby) {
      const { host, port } = this.#client;
      throw new MpmError(
        'READ_ONLY',
        `"${this.database}" on ${host}:${port} is a hot standby and doesn't accept writes`,
        {
          ...options,
          hint: 'Use the URL of the primary server in central.url or servers.<name>.url.',
        },
      );
    }
    throw new MpmError('READ_ONLY', `"${this.database}" doesn't accept writes: ${error.message}`, {
      ...options,
      hint: `Find the setting that makes its transactions read-only; for a role: alter role ${identifier(user)} reset default_transaction_read_only;`,
    });
  };

  /**
   * Sets for the session what statements that stand alone need of it (engine 49).
   * @returns false behind a pooler, where nothing is set
   */
  async holdSession(): Promise<boolean> {
    if (this.#session !== 'held') {
      await this.#learnRoles();
      const { results } = await this.raw(holdSession(this.#facts, this.backendPid));
      this.#direct = results.some(({ rows }) => rows.length);
      this.#session = 'held';
    }
    return this.#direct;
  }

  /**
   * As {@link holdSession} once it was true: a statement that does it again in a transaction, after what has changed the
   * session.
   */
  get heldSettings(): string {
    return heldSettings(this.#facts, this.backendPid);
  }

  /** Whether {@link holdSession} was true: there is no pooler in between. */
  get isDirect(): boolean {
    return this.#direct;
  }

  /** The statements in front of ours; none in an aborted transaction, which takes only its end. */
  async ownSettings(): Promise<readonly string[]> {
    if (this.transaction === 'failed') return [];
    await this.#learnRoles();
    return this.transaction === 'idle' ? openingSettings(this.#facts) : ownSettings(this.#facts);
  }

  async settingsAround(): Promise<SettingsAround> {
    await this.#learnRoles();
    return { opening: settingsBehindBegin(this.#facts), closing: closingSettings(this.#facts) };
  }

  /** Any number of statements in one message, as they are: not ours, or with settings of their own. */
  async raw(sql: string): Promise<Answer> {
    return (await this.#message([sql])).answer;
  }

  /** A migration or `reset all` may have changed what was set for the session: it is set again when it is needed. */
  sessionChanged(): void {
    this.#session = 'as it came';
  }

  /** One statement as it is, with all that pg says of its outcome; with values by the extended protocol. */
  execute(sql: string, values?: unknown[]): Promise<pg.QueryResult> {
    return this.#run(() => this.#client.query(sql, values?.length ? values : undefined));
  }

  /**
   * As {@link raw}, in a transaction of ours: the statements are not ours and have the session's settings, with what is
   * to be shown of them, columns, and rows as the texts that the server sent.
   */
  async read(sql: string): Promise<ResultTable[]> {
    return [...(await this.#message([sql], { rows: 'texts' })).tables];
  }

  get #facts(): SettingsFacts {
    return {
      version: Number.parseInt(this.#reported.get('server_version') ?? '', 10) || 0,
      standby: this.#reported.get('in_hot_standby') === 'on',
      role: this.#roles?.role,
    };
  }

  /** The server's major version; 0 where it does not say. */
  get version(): number {
    return this.#facts.version;
  }

  get #login(): string {
    return this.#reported.get('session_authorization') ?? this.#client.user ?? '';
  }

  /** The roles of the server, as it said lately; undefined where it could not be asked. */
  get roles(): SessionRoles | undefined {
    return this.#roles;
  }

  /** Asks the server for its roles, where that was not done lately: once a server, not once a database. */
  async #learnRoles(): Promise<void> {
    if (this.#roles) return;
    const { host, port } = this.#client;
    const server = `${host}:${port}`;
    const login = this.#login;
    this.#roles = knownRoles(server, login, this.database);
    if (this.#roles || this.transaction !== 'idle') return;
    const settings = openingSettings(this.#facts);
    await learnRoles(server, async (sql) => {
      const message = await this.#message([[...settings, sql].join(';\n')], { skip: settings.length });
      return message.results;
    });
    this.#roles = knownRoles(server, login, this.database);
  }

  /**
   * Statements that are not ours, in one message that is given in pieces. Their rows are dropped as they come, but for
   * those with a column of the name `keep` (engine 45).
   */
  async run(parts: readonly string[], keep?: string): Promise<Answer> {
    return (await this.#message(parts, { rows: 'dropped', keep })).answer;
  }

  #message(parts: readonly string[], options: MessageOptions = {}): Promise<Message> {
    return this.#run(
      () =>
        new Promise<Message>((resolve, reject) => {
          const message = new Message(parts, options, (error) => {
            this.#answered = message.results;
            if (error) reject(error);
            else resolve(message);
          });
          this.#client.query(message);
        }),
    );
  }

  async #run<T>(query: () => Promise<T>): Promise<T> {
    if (this.#lost) throw this.#described(this.#lost);
    this.#answered = [];
    this.#busy = true;
    const watch = this.#startWatch();
    try {
      return await query();
    } catch (error) {
      boundError(error);
      // The server reports an error before it says what became of the transaction.
      if (this.#busy && isServerError(error)) await new Promise<void>((tell) => this.#onReady.push(tell));
      // 25P02 only repeats that an earlier statement failed.
      if (sqlstateOf(error) !== SQLSTATE.inFailedTransaction) this.lastError = error;
      // A FATAL that ended the session says more than the socket's end that follows it.
      throw this.#described(this.#lost && !isServerError(error) ? this.#lost : error);
    } finally {
      watch?.end();
    }
  }

  #startWatch(): Watch | undefined {
    if (!this.vigil) return undefined;
    const socket = this.#client.connection.stream as Socket;
    const onLost = (): void => {
      const lost = new Error('the server no longer answers');
      this.#lost ??= Object.assign(lost, { code: 'ETIMEDOUT' });
      socket.destroy(lost);
    };
    const { backendPid: pid } = this;
    const hurried = this.#hurried;
    this.#watch = new Watch(this.vigil, { pid, hurried, bytesRead: () => socket.bytesRead, onLost });
    return this.#watch;
  }

  /** Somebody wants it to end: whether the answer to what is in work still comes is looked at at once. */
  hurry(): void {
    this.#hurried = true;
    this.#watch?.hurry();
  }

  #described(error: unknown): unknown {
    if (!this.describeLoss || !(this.#lost || endsConnection(error))) return error;
    // The server says so a moment before the socket ends.
    if (error instanceof Error) this.#lost ??= error;
    return this.describeLoss(error);
  }

  /** Kysely on this one pinned connection; transactions are the caller's business. */
  async kysely<DB>(options: KyselyOptions = {}): Promise<Kysely<DB>> {
    const { kyselyOn } = await import('./kysely.ts');
    return kyselyOn<DB>((sql, values) => this.execute(sql, values), options);
  }

  /** What the statements of the last message returned that were completed, also of one that failed. */
  get answered(): readonly Result[] {
    return this.#answered;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** `idle`: no transaction; `open`: in one; `failed`: in an aborted one, where COMMIT means ROLLBACK. */
  get transaction(): 'idle' | 'open' | 'failed' {
    const status = this.#client.getTransactionStatus();
    return status === 'E' ? 'failed' : status === 'T' ? 'open' : 'idle';
  }

  /** The backend's pid as the server, or a pooler in between, told it at connect. */
  get backendPid(): number {
    return (this.#client as unknown as { processID: number }).processID;
  }

  get database(): string {
    return this.#client.database ?? '';
  }

  /** Called when the connection is gone, maybe more than once; not when it was closed by us. */
  onLost(listener: () => void): void {
    this.#client.on('error', listener);
  }

  /** What other sessions send to a channel that this one listens to. */
  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''));
  }

  /** Whether the process goes on for its sake; at first it does. */
  keepAlive(yes: boolean): void {
    const socket = this.#client.connection.stream as Socket;
    if (yes) socket.ref();
    else socket.unref();
  }

  /** Ends it at once, whatever is in work; the server rolls back. */
  cut(): void {
    this.#client.connection.stream.destroy();
  }

  /** Ends it without waiting until the server is done with it: who copies or renames the database next would meet it. */
  leave(): void {
    void this.close();
  }

  async close(): Promise<void> {
    // end() of a client whose socket is gone already never settles on some paths of pg.
    const { stream } = this.#client.connection;
    if (this.#lost) {
      stream.destroy();
      return;
    }
    // A server that does not speak does not take its leave either.
    const timer = setTimeout(() => stream.destroy(), LEAVE).unref();
    await this.#client.end().catch(() => undefined);
    clearTimeout(timer);
  }
}

/** ms that the end of a connection may take. */
const LEAVE = 5000;
