// @ts-check
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./engineMain.js', import.meta.url));
const TIMEOUT_MS = 15 * 60_000; // llama.cpp compiles for minutes at its first load on a software adapter

/** An engine in a process of its own, so that a crash of the engine is only an error here. */
export class EngineProcess {
  /** @type {import('node:child_process').ChildProcess} */
  #child;
  #errorOutput = '';

  /**
   * @param {string} module file name in engines/
   * @param {Record<string, string>} env
   */
  constructor(module, env) {
    const url = new URL(`./engines/${module}`, import.meta.url).href;
    this.#child = fork(MAIN, [url], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#child.stderr?.on('data', (text) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-2000);
    });
  }

  /**
   * Runs a task.
   *
   * @param {string} task first `open`, which returns the engine's `info`
   * @param {object} args
   * @returns {Promise<any>} the result of the task
   * @throws Error if the engine reports one, its process ends, or it takes too long
   */
  async call(task, args) {
    const answer = this.#answer();
    if (this.#child.connected) this.#child.send({ task, args }, () => {}); // a failure to send is reported as the exit
    return answer;
  }

  close() {
    if (this.#child.connected) this.#child.disconnect();
  }

  #answer() {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const finish = () => {
        clearTimeout(timer);
        child.off('message', onMessage).off('exit', onExit);
      };
      const onMessage = (/** @type {any} */ { result, error }) => {
        finish();
        if (error === undefined) resolve(result);
        else reject(new Error(error));
      };
      const onExit = () => {
        finish();
        const lastLine = this.#errorOutput.trim().split('\n').pop();
        reject(new Error(`the process ended (${child.signalCode ?? `code ${child.exitCode}`}): ${lastLine}`));
      };
      const timer = setTimeout(() => {
        finish();
        child.kill('SIGKILL');
        reject(new Error(`no answer within ${TIMEOUT_MS / 60_000} minutes`));
      }, TIMEOUT_MS);
      child.on('message', onMessage).on('exit', onExit);
      if (child.exitCode !== null || child.signalCode !== null) onExit();
    });
  }
}
