import { dirname, relative } from 'node:path';
import { Command, Flags } from '@oclif/core';
import type { Config } from '../config/define.ts';
import { asMpmError, EXIT, type ErrorReport, errorReport, type MpmError } from '../errors.ts';
import type { OnEvent } from '../fleet/events.ts';
import type { RunReport } from '../fleet/report/report.ts';
import type { WaveQuestion } from '../fleet/schedule/waves.ts';
import { ownProcess } from '../engine/module/module-process.ts';
import { redact } from '../secrets.ts';
import { jsonOf } from '../text.ts';
import type { DisplayEnvironment, Theme } from '../ui/theme.ts';
import { type PaceFlags, paceFrom, withBareFailed } from './flags.ts';
import type { GithubLog, OutputFlags, Outputs, Renderers } from './outputs.ts';
import { setStdoutAside, watchStreams } from './streams.ts';
import { usageError } from './usage-error.ts';

/** The flags that every command has, as parsed. */
export interface GlobalFlags extends PaceFlags, OutputFlags {
  config?: string | undefined;
  quiet?: boolean;
  actor?: string | undefined;
}

/** What a verb over the fleet is given to work with. */
export interface FleetRun {
  config: Config;
  onEvent: OnEvent;
  /** Aborted by the first Ctrl-C: start nothing more. */
  signal: AbortSignal;
  /** Aborted by the second: cancel what runs. */
  cancel: AbortSignal;
  /** Asks on the terminal whether the next wave is to begin. */
  ask(question: WaveQuestion): Promise<boolean>;
}

/** A report of its own kind, in lines. */
export type ReportText<R> = (report: R, theme: Theme, options: { shortPath(path: string): string }) => string;

/** How things are shown on one of the two streams. */
export interface Display {
  env: DisplayEnvironment;
  out: Theme;
  err: Theme;
  /** A path as the user would type it. */
  shortPath(path: string): string;
}

/**
 * The base of every command: global flags, errors in one form, exit codes, `--json`. A command reads its flags,
 * makes one call and shows one view.
 */
export abstract class FleetCommand extends Command {
  static override enableJsonFlag = true;
  static override baseFlags = {
    config: Flags.string({
      description: 'Configuration file (default: search upward from here)',
      helpValue: 'FILE',
      helpGroup: 'global',
    }),
    json: Flags.boolean({ description: 'Print one JSON document instead of text', helpGroup: 'global' }),
    quiet: Flags.boolean({ description: 'Hide progress', helpGroup: 'global' }),
    'no-color': Flags.boolean({ description: 'Disable color (or set NO_COLOR)', helpGroup: 'global' }),
  };

  /** It can be run where nothing says where the central database is. */
  static withoutCentral = false;

  private giveStdoutBack = () => {};
  /** Where the log is GitHub's. */
  protected githubLog: GithubLog | undefined;

  override async init(): Promise<void> {
    await super.init();
    watchStreams([this.id ?? '', ...this.argv]);
    await this.quietenGithub();
    ownProcess((error) => this.raiseLate(error));
    if (this.jsonEnabled()) this.giveStdoutBack = setStdoutAside();
  }

  override parse: Command['parse'] = async (options, argv = this.argv) => {
    const args: Record<string, { ignoreStdin?: boolean }> = options?.args ?? {};
    const flags: Record<string, { type?: string }> = { ...options?.baseFlags, ...options?.flags };
    // A missing argument would otherwise be read from stdin, which a script may have open for something else.
    for (const arg of Object.values(args)) arg.ignoreStdin = true;
    const words = flags['failed']?.type === 'option' ? withBareFailed(argv) : argv;
    // What fails to parse did not go unparsed, of which oclif would warn.
    this.parsed = true;
    try {
      return await super.parse(options, words);
    } catch (error) {
      throw usageError(error, (this.id ?? '').replaceAll(':', ' '), Object.keys(flags));
    }
  };

  private async quietenGithub(): Promise<void> {
    const { environment } = await import('../config/load.ts');
    const env = environment();
    if (env['GITHUB_ACTIONS'] !== 'true') return;
    const { openGithubLog } = await import('./outputs.ts');
    this.githubLog = openGithubLog(env, (text) => process.stderr.write(text));
    process.once('exit', () => this.githubLog?.end());
  }

  /** The configuration: flag > environment > file > default. */
  protected async settings(flags: GlobalFlags): Promise<Config> {
    const { environment, loadConfig } = await import('../config/load.ts');
    const { withoutCentral } = this.constructor as typeof FleetCommand;
    const pace = paceFrom(flags);
    const config = await loadConfig(
      {
        ...(flags.config === undefined ? {} : { file: flags.config }),
        ...(flags.actor === undefined ? {} : { actor: flags.actor }),
        ...(Object.keys(pace).length ? { pace } : {}),
      },
      { cwd: process.cwd(), withoutCentral },
    );
    if (flags.config === undefined && !environment()['MPM_CONFIG']) this.sayWhichFile(config);
    return config;
  }

  /** Where it is not the one in the working directory, nobody need know that there is one (fleet 47). */
  private sayWhichFile({ file, leftOut }: Config): void {
    if (file !== undefined && dirname(file) === process.cwd() && leftOut === undefined) return;
    const notUsed = leftOut === undefined ? '' : `not used, further up: ${leftOut}`;
    if (file === undefined) {
      if (notUsed) process.stderr.write(`No configuration file; ${notUsed}\n`);
      return;
    }
    process.stderr.write(`Configuration: ${file}${notUsed && `; ${notUsed}`}\n`);
  }

  protected async display(): Promise<Display> {
    const [{ environment }, { themeFor }] = await Promise.all([
      import('../config/load.ts'),
      import('../ui/theme.ts'),
    ]);
    const env = environment();
    const color = !this.argv.includes('--no-color');
    const cwd = process.cwd();
    return {
      env,
      out: themeFor(process.stdout, env, { color }),
      err: themeFor(process.stderr, env, { color }),
      shortPath: (path) => {
        const short = relative(cwd, path);
        return short && !short.startsWith('..') ? short : path;
      },
    };
  }

  /** Prints on stdout what a view made; nothing under `--json`, where stdout is the one document. */
  protected show(text: string): void {
    if (!this.jsonEnabled()) process.stdout.write(text);
  }

  /**
   * A verb over the fleet from configuration to exit code: progress on stderr, the report on stdout.
   * @param ownStdout what of the verb's own has stdout instead
   */
  protected async runFleet<R extends RunReport>(
    flags: GlobalFlags,
    work: (run: FleetRun) => Promise<R>,
    { ownStdout, text }: { ownStdout?: string; text?: ReportText<R> } = {},
  ): Promise<R> {
    const { runOnTerminal } = await import('./on-terminal.ts');
    const [config, display] = await Promise.all([this.settings(flags), this.display()]);
    const outputs = await this.outputs(flags, ownStdout);
    const options = { quiet: flags.quiet ?? false, json: this.jsonEnabled(), outputs };
    const report = await runOnTerminal(display, options, (run) => work({ config, ...run }));
    const { showReport } = await import('./show-report.ts');
    const command = this.githubLog?.command;
    const show = async (shown: Display) => {
      const usual = await showReport(report, shown, command);
      return text ? text(report, shown.out, { shortPath: shown.shortPath }) : usual;
    };
    if (ownStdout || outputs?.takesStdout) process.stderr.write(await show({ ...display, out: display.err }));
    else this.show(await show(display));
    const { exitCodeOf } = await import('./exit-code.ts');
    process.exitCode = exitCodeOf(report);
    await this.finishOutputs(outputs, report, display);
    return report;
  }

  /** Opens what `--events` and `--report` name. */
  protected async outputs(flags: OutputFlags, ownStdout?: string): Promise<Outputs | undefined> {
    if (flags.events === undefined && !flags.report) return undefined;
    const { RUN_RENDERERS } = await import('./outputs.ts');
    return this.outputsOf(flags, RUN_RENDERERS, ownStdout);
  }

  /** As {@link outputs}, for a command with reports of its own. */
  protected async outputsOf<Report>(
    flags: OutputFlags,
    renderers: Renderers<Report>,
    ownStdout?: string,
  ): Promise<Outputs<Report> | undefined> {
    if (flags.events === undefined && !flags.report) return undefined;
    const { openOutputs } = await import('./outputs.ts');
    return openOutputs(flags, { taken: this.jsonEnabled() ? '--json' : ownStdout, renderers });
  }

  /** Writes them to their end; what could not be written is told, and no success. */
  protected async finishOutputs<Report>(
    outputs: Outputs<Report> | undefined,
    report: Report | undefined,
    { err, shortPath }: Display,
  ): Promise<void> {
    const problems = (await outputs?.finish(report, { shortPath })) ?? [];
    if (problems.length === 0) return;
    const { errorView } = await import('../ui/views/error.ts');
    for (const problem of problems) process.stderr.write(errorView(errorReport(problem), err, { shortPath }));
    process.exitCode ||= EXIT.failed;
  }

  override logJson(json: unknown): void {
    this.giveStdoutBack();
    process.stdout.write(`${jsonOf(json, 2)}\n`);
  }

  /** Only what an ErrorReport holds: oclif's own would print every property of a foreign error. */
  override toErrorJson(thrown: unknown): { error: ErrorReport } {
    return { error: errorReport(thrown) };
  }

  /** Shows the error here and does not pass it on: oclif would print it its own way, and end the process at once. */
  override async catch(thrown: Error & { oclif?: { exit?: number } }): Promise<void> {
    if (thrown.oclif?.exit === EXIT.done) throw thrown;
    const error = asMpmError(thrown);
    process.exitCode = error.exit;
    await this.annotate(error);
    if (this.jsonEnabled()) return this.logJson(this.toErrorJson(error));
    await this.showError(error);
    if (error.code === 'BUG') {
      const { err } = await this.display();
      process.stderr.write(`${err.dim(redact(thrown.stack ?? ''))}\n`);
    }
  }

  /** On GitHub, each thing that is wrong with a file is shown at its line. */
  protected async annotate({ problems = [] }: Pick<MpmError, 'problems'>): Promise<void> {
    if (!problems.length || !this.githubLog) return;
    const [{ problemAnnotations }, { shortPath }] = await Promise.all([
      import('../ui/report/github.ts'),
      this.display(),
    ]);
    const title = `mpm-migrate ${(this.id ?? '').replaceAll(':', ' ')}`;
    this.githubLog.command(problemAnnotations(problems, shortPath, title));
  }

  /** A migration may leave something running, which fails when the report is long shown. */
  private raiseLate(error: MpmError): void {
    process.once('exit', () => {
      if (process.exitCode !== EXIT.interrupted) process.exitCode = EXIT.failed;
    });
    void this.showError(error);
  }

  private async showError(known: MpmError): Promise<void> {
    const [{ errorView }, { err, shortPath }] = await Promise.all([
      import('../ui/views/error.ts'),
      this.display(),
    ]);
    process.stderr.write(errorView(errorReport(known), err, { shortPath }));
  }
}
