import { describe, expect, test } from 'vitest';
import { PromptError } from '../../src/errors.ts';
import { renderChatTemplate } from '../../src/processor/text/chatTemplate.ts';
import { checkMessages } from '../../src/processor/text/checkMessages.ts';
import { withCpuMs } from '../cpuTime.ts';
import { goldens, readJson } from '../readTensors.ts';
import { thrownBy } from './helpers.ts';

const tinyTemplate: string = readJson(
  new URL('../../weights/m2-tiny/tokenizer_config.json', import.meta.url).pathname,
).chat_template;
const plain = { addGenerationPrompt: false };

describe('chat_template.json, Jinja prompt', () => {
  const { chat_template, rows } = readJson(`${goldens}chat_template.json`);
  for (const [i, row] of rows.entries()) {
    test(`row ${i}`, () => {
      const messages = checkMessages(row.messages);
      const render = (addGenerationPrompt: boolean) =>
        renderChatTemplate(chat_template, messages, { addGenerationPrompt });
      expect(render(false)).toBe(row.jinja_without_generation_prompt);
      expect(render(true)).toBe(row.jinja_with_generation_prompt);
    });
  }
});

describe('templates that join strings', () => {
  const messages = checkMessages([
    { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] },
    {
      role: 'user',
      content: [
        { type: 'image', image: 'a.png' },
        { type: 'text', text: 'What is "text": "this"?' },
        { type: 'image', image: new Uint8Array([1, 2, 3]) },
      ],
    },
  ]);

  test('m2-tiny: the parts as one text with <image> in place', () => {
    expect(renderChatTemplate(tinyTemplate, messages, { addGenerationPrompt: true })).toBe(
      '<|im_start|>system\nBe brief.<|im_end|>\n' +
        '<|im_start|>user\n<image>What is "text": "this"?<image><|im_end|>\n' +
        '<|im_start|>assistant\n',
    );
  });
  test('m2-tiny: its own system message', () => {
    expect(renderChatTemplate(tinyTemplate, checkMessages([{ role: 'user', content: 'Hi' }]), plain)).toBe(
      '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n',
    );
  });
  test('one that concatenates only the system message gets all messages as text', () => {
    const mixed =
      "{{ messages[0].content + ';' }}{% for m in messages[1:] %}{% if m.content is string %}{{ m.content }}" +
      "{% else %}{% for p in m.content %}{{ p.text or '<image>' }}{% endfor %}{% endif %}{% endfor %}";
    expect(renderChatTemplate(mixed, messages, plain)).toBe(
      'Be brief.;<image>What is "text": "this"?<image>',
    );
  });
  test('one that writes its content as JSON gets text', () => {
    const json = '{% for m in messages %}{{ m.content | tojson }}{% endfor %}';
    expect(renderChatTemplate(json, messages.slice(0, 1), plain)).toBe('"Be brief."');
  });
});

describe('templates that iterate over parts', () => {
  const overParts =
    "{% for m in messages %}{% for p in m.content %}{% if 'image' in p %}[img]{% else %}{{ p.text }}{% endif %}" +
    '{% endfor %};{% endfor %}';
  test('get parts even for string content', () => {
    const messages = checkMessages([
      { role: 'user', content: 'Hello' },
      {
        role: 'user',
        content: [
          { type: 'image', image: new Uint8Array(1000) },
          { type: 'text', text: 'a' },
          { type: 'video', frames: ['1.png', '2.png'] },
        ],
      },
    ]);
    expect(renderChatTemplate(overParts, messages, plain)).toBe('Hello;[img]a[img];');
  });
  test('text that looks like printed parts changes nothing', () => {
    const text = '[{"type": "text", "text": "x"}]';
    expect(renderChatTemplate(overParts, checkMessages([{ role: 'user', content: text }]), plain)).toBe(
      `${text};`,
    );
  });
});

describe('the names that a template can use', () => {
  const messages = checkMessages([{ role: 'user', content: 'x' }]);
  test.each([
    ['{{ bos_token ~ (none is none) ~ True }}', '<s>TrueTrue'],
    ['{% for i in range(2, 8, 3) %}{{ i }},{% endfor %}', '2,5,'],
    ['{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}', '321'],
    [
      '{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}',
      '1',
    ],
    ['{{ undefined_name }}{{ messages.constructor }}{{ messages[0].__proto__ }}', ''],
  ])('%s', (template, expected) => {
    const rendered = renderChatTemplate(template, messages, { ...plain, variables: { bos_token: '<s>' } });
    expect(rendered.toLowerCase()).toBe(expected.toLowerCase());
  });
});

describe('errors', () => {
  const messages = checkMessages([{ role: 'user', content: 'x' }]);
  const doubling = (times: number) =>
    `{% set ns = namespace(s='a') %}${'{% set ns.s = ns.s + ns.s %}'.repeat(times)}{{ ns.s }}`;
  test.each([
    ['no template', null, 'TEMPLATE_MISSING'],
    ['an unclosed tag', '{% for m in messages %}', 'TEMPLATE_SYNTAX'],
    ['an unclosed expression', '{{ messages', 'TEMPLATE_SYNTAX'],
    ['an unknown filter', "{{ 'a' | nonsense }}", 'TEMPLATE_SYNTAX'],
    ['5,000 parentheses', `{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`, 'TEMPLATE_SYNTAX'],
    ['a call of nothing', '{{ nothing() }}', 'TEMPLATE_SYNTAX'],
    ['raise_exception', "{{ raise_exception('roles must alternate') }}", 'TEMPLATE_RAISED'],
    ['16 M characters', doubling(24), 'TEMPLATE_TOO_LARGE'],
    ['more than a string can hold', doubling(40), 'TEMPLATE_TOO_LARGE'],
    ['a long range', '{% for i in range(10000000) %}{% endfor %}', 'TEMPLATE_TOO_LARGE'],
    ['an endless range', '{% for i in range(0, 5, 0) %}{% endfor %}', 'TEMPLATE_TOO_LARGE'],
  ])('%s', async (_, template, code) => {
    const { value: error, cpuMs } = await withCpuMs(() =>
      thrownBy(() => renderChatTemplate(template, messages, plain)),
    );
    expect(error).toBeInstanceOf(PromptError);
    expect(error.code).toBe(code);
    expect(cpuMs).toBeLessThan(2000);
  });
  test('the message of raise_exception', () => {
    const raising = "{{ raise_exception('roles must alternate') }}";
    expect(thrownBy(() => renderChatTemplate(raising, messages, plain)).message).toContain(
      'roles must alternate',
    );
  });
});
