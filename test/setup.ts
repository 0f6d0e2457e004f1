import fc from 'fast-check';

// The same cases in every run: a property that fails, fails for everybody.
fc.configureGlobal({ seed: 20_261_124 });

// While a promise of Dawn's waits, its binding asks for news with setImmediate without a pause: on a software adapter, a third of
// all CPU time. Here it asks every millisecond. A test that needs setImmediate itself takes it from node:timers.
const everyMillisecond = (ask: () => void) => setTimeout(ask, 1);
globalThis.setImmediate = everyMillisecond as unknown as typeof setImmediate;
