import * as fc from 'fast-check';

/** fc.assert of a synchronous property: throws at once. (Its other overload returns a promise, and linters see that.) */
export function holds<Value>(property: fc.IProperty<Value>, parameters?: fc.Parameters<Value>): void {
  void fc.assert(property, parameters);
}
