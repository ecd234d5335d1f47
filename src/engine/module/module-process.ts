import { AsyncLocalStorage } from 'node:async_hooks';
import { syncBuiltinESMExports } from 'node:module';
import { setImmediate as soon } from 'node:timers/promises';
import { MpmError } from '../../errors.ts';
import type { Statements } from './kysely-statements.ts';

/** What of `process` is one of ours while a module is at work. */
type Replaced = 'emit' | 'exit' | 'reallyExit' | 'abort' | 'kill' | 'chdir';

/** A module at work: while it is imported, or one of its functions runs. What it begins without awaiting it belongs to it. */
const current = new AsyncLocalStorage<ModuleCall>();

/** What a module raised without throwing it: a rejection or an exception that nobody caught. */
export interface Fault {
  error: unknown;
  kind: 'rejection' | 'exception' | 'refused';
}

/** One call of a module's function for one database, or its import. */
export class ModuleCall {
  /** The migration's name. */
  readonly name: string;
  readonly path: string;
  /** In their order, until it was over. */
  readonly faults: Fault[] = [];
  /** Worth knowing, and no error. */
  readonly notices: string[] = [];
  /** Absent while it is imported. */
  readonly statements: Statements | undefined;
  readonly #watch: ModuleWatch | undefined;
  #over = false;

  constructor(
    { name, path }: { name: string; path: string },
    { statements, watch }: { statements?: Statements; watch?: ModuleWatch | undefined } = {},
  ) {
    this.name = name;
    this.path = path;
    this.statements = statements;
    this.#watch = watch;
  }

  get over(): boolean {
    return this.#over;
  }

  /**
   * Runs what belongs to this call, and keeps the process as it was. Ends a turn after `work` did: until then
   * what it left behind is a fault of its own, later an error of the run.
   */
  async run<T>(work: () => Promise<T> | T): Promise<T> {
    const release = holdProcess();
    this.#watch?.hold();
    if (application) holdForGood();
    noteProcess();
    try {
      return await current.run(this, work);
    } finally {
      await soon();
      this.#over = true;
      this.notices.push(...putBack(this));
      release();
    }
  }

  /** Whether somebody takes it. */
  raise(error: unknown, kind: Fault['kind']): boolean {
    if (!this.#over) {
      this.faults.push({ error, kind });
      return true;
    }
    const late = this.#lateError(error, kind);
    if (this.#watch?.take(late)) return true;
    application?.(late);
    return application !== undefined;
  }

  #lateError(error: unknown, kind: Fault['kind']): MpmError {
    const message = error instanceof Error ? error.message : String(error);
    return new MpmError('MIGRATION_LATE', `${this.name} raised an error after it was done: ${message}`, {
      migration: this.name,
      subject: this.path,
      cause: error,
      aftermath: 'what it did before stays as it was recorded',
      hint: `Await or return what it starts: this ${kind} came from something that it left running.`,
    });
  }
}

/** The module that the code which asks belongs to. */
export function currentModule(): ModuleCall | undefined {
  return current.getStore();
}

/** Is told what a migration, by its name, sends. */
export type OnSql = (migration: string, sql: string) => void;

/** Keeps the process as it is beyond the end of single modules, for as long as a run lasts. */
export class ModuleWatch {
  readonly #onLate: (error: MpmError) => void;
  /** Is told each statement that a migration sends, and the migration's name. */
  readonly onSql: OnSql | undefined;
  #release: (() => void) | undefined;
  #ended = false;

  /** @param onLate is told what modules of the run raise after their end */
  constructor(onLate: (error: MpmError) => void, onSql?: OnSql) {
    this.#onLate = onLate;
    this.onSql = onSql;
  }

  /** From the first module on: a run of SQL alone leaves the process alone. */
  hold(): void {
    if (!this.#ended) this.#release ??= holdProcess();
  }

  take(error: MpmError): boolean {
    if (!this.#ended) this.#onLate(error);
    return !this.#ended;
  }

  end(): void {
    this.#ended = true;
    this.#release?.();
  }
}

/**
 * Does work whose modules are followed to its end.
 * @throws what it throws; MpmError MIGRATION_LATE for what a module raised after its own end
 */
export async function followingModules<T>(
  work: (modules: ModuleWatch) => Promise<T>,
  onSql?: OnSql,
): Promise<T> {
  const late: MpmError[] = [];
  const modules = new ModuleWatch((error) => late.push(error), onSql);
  try {
    const result = await work(modules);
    if (late[0]) throw late[0];
    return result;
  } finally {
    modules.end();
  }
}

let application: ((error: MpmError) => void) | undefined;
let holdForGood = (): void => {
  holdForGood = () => undefined;
  holdProcess();
};

/** For who owns the process, as a command does: it is told whatever modules raise, and `process` stays guarded. */
export function ownProcess(onLate: (error: MpmError) => void): void {
  application = onLate;
}

let holds = 0;
let release: (() => void) | undefined;

/** Until what it returns is called, a module cannot end the process, and what it raises does not. */
function holdProcess(): () => void {
  holds += 1;
  if (holds === 1) release = replaceAll();
  let held = true;
  return () => {
    if (!held) return;
    held = false;
    holds -= 1;
    if (holds === 0) release?.();
  };
}

/**
 * Replaced, and not listened to: a listener would be there for the application's own errors as well. What does not
 * belong to a module goes on as if this were not here.
 */
function replaceAll(): () => void {
  const undo = [
    replace('emit', (emit) => (name: string | symbol, ...args: unknown[]) => {
      const kind =
        name === 'unhandledRejection' ? 'rejection' : name === 'uncaughtException' ? 'exception' : undefined;
      return (kind && current.getStore()?.raise(args[0], kind)) || emit(name, ...args);
    }),
    replace('exit', (exit) => (code?: unknown) => {
      refuse(`process.exit(${code === undefined ? '' : String(code)})`);
      return exit(code);
    }),
    // What exit() itself calls, and packages that patch it.
    replace('reallyExit', (reallyExit) => (code?: unknown) => {
      refuse(`process.reallyExit(${code === undefined ? '' : String(code)})`);
      return reallyExit(code);
    }),
    replace('abort', (abort) => () => {
      refuse('process.abort()');
      return abort();
    }),
    replace('kill', (kill) => (pid: number, signal?: string | number) => {
      if ((pid === process.pid || pid <= 0) && signal !== 0) refuse('process.kill() of its own process');
      return kill(pid, signal);
    }),
    replace('chdir', (chdir) => (folder: string) => {
      const call = current.getStore();
      if (call?.over) refuse('process.chdir()');
      const before = process.cwd();
      chdir(folder);
      if (!call) return;
      if (folders.size === 0) ownFolder = before;
      folders.set(call, process.cwd());
    }),
  ];
  // What was imported by name follows.
  syncBuiltinESMExports();
  return () => {
    for (const back of undo) back();
    syncBuiltinESMExports();
  };
}

/** Node's types leave out what is not documented. */
const own = process as typeof process & { reallyExit: (code?: number) => never };

// oxlint-disable-next-line typescript/no-explicit-any
type Function_ = (...args: any[]) => any;

function replace(key: Replaced, make: (original: Function_) => Function_): () => void {
  const before = Object.getOwnPropertyDescriptor(process, key);
  const ours = make((own[key] as Function_).bind(process));
  Object.defineProperty(process, key, {
    configurable: true,
    enumerable: before?.enumerable ?? false,
    writable: true,
    value: ours,
  });
  return () => {
    // Somebody who replaced it in the meantime calls ours, which passes on what no module calls.
    if (own[key] !== ours) return;
    if (before) Object.defineProperty(process, key, before);
    else Reflect.deleteProperty(process, key);
  };
}

function refuse(what: string): void {
  const call = current.getStore();
  if (!call) return;
  const error = new MpmError('MIGRATION_FAILED', `${what} in a migration would end all of them`, {
    migration: call.name,
    hint: 'Remove it: a migration fails by throwing an error, and is done when it returns.',
  });
  // It counts also where the module catches it.
  if (!call.over) call.raise(error, 'refused');
  throw error;
}

/** Where modules at work have gone, the last one at the end; and where the process was before. */
const folders = new Map<ModuleCall, string>();
let ownFolder = '';

/** As it was before modules that are at work now: lanes run side by side. */
let known: { env: NodeJS.ProcessEnv; exitCode: typeof process.exitCode; users: number } | undefined;

function noteProcess(): void {
  known ??= { env: environment(), exitCode: process.exitCode, users: 0 };
  known.users += 1;
}

/** Undoes what a module did to the process, as far as that harms nobody else; says what it could not. */
function putBack(call: ModuleCall): string[] {
  const notices: string[] = [];
  if (folders.delete(call)) process.chdir([...folders.values()].at(-1) ?? ownFolder);
  if (!known) return notices;
  const changed = changedVariables(known.env);
  if (changed.length) {
    // Not undone: it may be meant, and others may have read it.
    notices.push(`${call.name} changed the environment of the process: ${changed.join(', ')}`);
    known.env = environment();
  }
  if (process.exitCode !== known.exitCode) {
    notices.push(`${call.name} set process.exitCode${application ? ', which counts for nothing' : ''}`);
    // In a library it may have been the application that set it.
    if (application) process.exitCode = known.exitCode;
    else known.exitCode = process.exitCode;
  }
  known.users -= 1;
  if (known.users === 0) known = undefined;
  return notices;
}

function changedVariables(before: NodeJS.ProcessEnv): string[] {
  const now = environment();
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].filter((name) => before[name] !== now[name]);
}

/** A copy, to be compared; nothing in it is read as a setting. */
function environment(): NodeJS.ProcessEnv {
  // oxlint-disable-next-line node/no-process-env
  return { ...process.env };
}

/** The end of the module that runs now, or is the last one that waits. */
let lastModule: Promise<unknown> = Promise.resolve();

/** Runs modules that keep something between calls one after the other: what they keep is the whole process's. */
export function inModuleTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = lastModule.then(work);
  lastModule = turn.catch(() => undefined);
  return turn;
}
