export { conversionInspector, type ConversionInspector, type InspectorRequest } from './inspector/inspector.js'
export type { ConversionInspectorOptions } from './inspector/options.js'
