import { setImmediate as soon } from 'node:timers/promises';
import type {
  CompiledQuery,
  KyselyPlugin,
  PluginTransformQueryArgs,
  PluginTransformResultArgs,
  QueryExecutorProvider,
  QueryId,
  QueryResult,
  RawBuilder,
  UnknownRow,
} from 'kysely';
import type { QueryWatch } from '../../postgres/kysely.ts';

/** A statement that was begun: a plugin, because Kysely hands those on to whatever is built from it. */
export class Statement implements KyselyPlugin {
  /** How it was begun: `schema.createTable("meters")`. */
  readonly what: string;
  /** Its stack says where it was begun. */
  readonly place: Error;
  readonly text: RawBuilder<unknown> | undefined;
  readonly #statements: Statements;

  constructor(statements: Statements, what: string, below: object, text?: RawBuilder<unknown>) {
    this.#statements = statements;
    this.what = what;
    this.text = text;
    this.place = new Error(what);
    Error.captureStackTrace(this.place, below as () => void);
  }

  transformQuery({ node, queryId }: PluginTransformQueryArgs): PluginTransformQueryArgs['node'] {
    this.#statements.used(this, queryId);
    return node;
  }

  async transformResult({ result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
    return result;
  }
}

/** Of a query that came when its module was done. */
export class LateStatement extends Error {
  readonly statement: Statement | undefined;

  constructor(statement: Statement | undefined) {
    super('a statement was not awaited: it came after the migration was done, and was not sent');
    this.statement = statement;
  }
}

/** So many statements at most are looked for in the text of another one. */
const LOOKED_FOR = 100;

/** The statements of one module that runs: which were begun, executed, and are still on their way. */
export class Statements implements QueryWatch {
  /** Begun, and not executed so far, neither by themselves nor as part of another one. */
  readonly #unused = new Set<Statement>();
  /** Turned into SQL, and not sent so far. */
  readonly #compiled = new Map<Statement, string>();
  readonly #byId = new WeakMap<QueryId, Statement>();
  readonly #onTheirWay = new Map<Promise<unknown>, Statement | undefined>();
  readonly #failed = new WeakMap<object, Statement | undefined>();
  /** Used just now: to be executed if it is compiled next, else as part of another one. */
  #last: Statement | undefined;
  /** The end of the query that was sent last. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #admit: (sql: string) => void;
  #over = false;
  #unawaited: { statement: Statement | undefined } | undefined;
  /** Whether anything was sent. */
  sent = false;
  /** What the module asked for and Kysely does not have: `raw`, `schema.hasTable`. */
  readonly missing: string[] = [];
  /** Of a call that Kysely would not have understood. */
  refused: Error | undefined;

  /** @param admit throws for a query that is not its module's, or not to be sent */
  constructor(admit: (sql: string) => void) {
    this.#admit = admit;
  }

  /** @param below the function that the module called; its caller is the place */
  begin(what: string, below: object, text?: RawBuilder<unknown>): Statement {
    const statement = new Statement(this, what, below, text);
    this.#unused.add(statement);
    return statement;
  }

  /** A query that is sent without having been begun. */
  know(query: unknown, what: string, below: object): void {
    const { queryId } = query as Partial<CompiledQuery>;
    if (queryId && !this.#byId.has(queryId)) this.#byId.set(queryId, new Statement(this, what, below));
  }

  used(statement: Statement, queryId: QueryId): void {
    this.#settleLast();
    this.#byId.set(queryId, statement);
    this.#last = statement;
  }

  compiled({ queryId, sql }: CompiledQuery): void {
    const statement = this.#byId.get(queryId);
    if (statement && statement === this.#last) {
      this.#last = undefined;
      if (this.#unused.has(statement)) this.#compiled.set(statement, sql);
    }
  }

  async send<R>(query: CompiledQuery, send: () => Promise<R>): Promise<R> {
    this.#admit(query.sql);
    const statement = this.#byId.get(query.queryId);
    if (this.#over) {
      this.#unawaited ??= { statement };
      throw new LateStatement(statement);
    }
    this.sent = true;
    this.#drop(statement);
    for (const [other, text] of [...this.#compiled].slice(0, LOOKED_FOR)) {
      if (query.sql.includes(text)) this.#drop(other);
    }
    const sending = this.#inTurn(send);
    this.#onTheirWay.set(sending, statement);
    try {
      return await sending;
    } catch (error) {
      if (typeof error === 'object' && error !== null) this.#failed.set(error, statement);
      throw error;
    } finally {
      this.#onTheirWay.delete(sending);
    }
  }

  /** One after the other: pg takes no second query while one is on its way. */
  #inTurn<R>(send: () => Promise<R>): Promise<R> {
    const sending = this.#turn.then(() => {
      if (this.#over) throw new LateStatement(undefined);
      return send();
    });
    this.#turn = sending.then(
      () => undefined,
      () => undefined,
    );
    return sending;
  }

  /** From here on a query is refused. Resolves when those on their way have come to an end. */
  async end(): Promise<void> {
    this.#over = true;
    const [first] = this.#onTheirWay.values();
    if (this.#onTheirWay.size) this.#unawaited ??= { statement: first };
    // What was begun a moment ago reaches us within this turn, to be refused.
    await soon();
    await Promise.allSettled(this.#onTheirWay.keys());
  }

  /** The first query that was on its way, or came, after the end. */
  get unawaited(): { statement: Statement | undefined } | undefined {
    return this.#unawaited;
  }

  /** The query that failed with this error; undefined when none did. */
  failedWith(error: unknown): { statement: Statement | undefined } | undefined {
    if (typeof error !== 'object' || error === null || !this.#failed.has(error)) return undefined;
    return { statement: this.#failed.get(error) };
  }

  /** The first statement that was never executed. A fragment of SQL that is no statement does no harm unused. */
  unexecuted(executor: QueryExecutorProvider): Statement | undefined {
    this.#settleLast();
    return [...this.#unused].find(({ text }) => !text || COMMAND.test(textOf(text, executor)));
  }

  /** What was used and not compiled right then is part of another one, which is followed itself. */
  #settleLast(): void {
    this.#drop(this.#last);
    this.#last = undefined;
  }

  #drop(statement: Statement | undefined): void {
    if (!statement) return;
    this.#unused.delete(statement);
    this.#compiled.delete(statement);
  }
}

const COMMANDS =
  'abort alter analyze begin call checkpoint close cluster comment commit copy create deallocate declare delete discard do drop end execute explain fetch grant import insert listen load lock merge move notify prepare reassign refresh reindex release reset revoke rollback savepoint security select set show start table truncate unlisten update vacuum values with';
const COMMAND = new RegExp(
  String.raw`^(?:[\s(;]|--[^\n]*(?:\n|$)|/\*[\s\S]*?\*/)*(?:${COMMANDS.replaceAll(' ', '|')})\b`,
  'i',
);

function textOf(text: RawBuilder<unknown>, executor: QueryExecutorProvider): string {
  try {
    return text.compile(executor).sql;
  } catch {
    return '';
  }
}
