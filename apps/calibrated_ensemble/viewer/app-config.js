// OHIF reads this classic script first; everything of ours is in modules, which a classic script must import.
window.config = async context => {
  const { makeConfig } = await import('/viewer/calibrated-ensemble/ohif/main.js');
  return makeConfig(context);
};
