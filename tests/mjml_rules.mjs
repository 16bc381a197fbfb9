// Writes plugins/newsletter/mjml_rules.json: which elements, attributes and children npm's mjml knows.
// mjml-python checks none of it. To renew, in a folder outside this checkout:
//   npm install --ignore-scripts mjml@5 && node /path/to/tests/mjml_rules.mjs > /path/to/plugins/newsletter/mjml_rules.json
// Names and types only; nothing of mjml's code is taken over.
import { createRequire } from 'node:module'
import { join } from 'node:path'

const require = createRequire(join(process.cwd(), 'anchor.js'))
const preset = require('mjml-preset-core')
const colours = require('mjml-core/lib/types/helpers/colors.js')
const version = require('mjml/package.json').version
const { components, dependencies } = preset.default ?? preset

const elements = { mjml: { attributes: { dir: 'string', lang: 'string', owa: 'string' }, html: false } }
for (const component of components) {
  const attributes = Object.entries(component.allowedAttributes ?? {}).sort()
  elements[component.componentName] = {
    attributes: Object.fromEntries(attributes),
    html: Boolean(component.endingTag),
  }
}
for (const [name, children] of Object.entries(dependencies)) {
  elements[name] ??= { attributes: {}, html: false }
  elements[name].children = children.filter((child) => typeof child === 'string').sort()
}
const sorted = Object.fromEntries(Object.entries(elements).sort())
const rules = { source: `npm mjml ${version}`, elements: sorted, colours: [...(colours.default ?? colours)].sort() }
process.stdout.write(`${JSON.stringify(rules, null, 1)}\n`)
