<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22.0" styleCategories="AllStyleCategories" labelsEnabled="1">
 <renderer-v2 type="categorizedSymbol" attr="coalesce(&quot;decision&quot;, 'waits')">
  <categories>
   <category value="waits" label="Waits for a decision" symbol="0" render="true"/>
   <category value="accept" label="Accepted" symbol="1" render="true"/>
   <category value="reject" label="Rejected" symbol="2" render="true"/>
   <category value="edit" label="Outline drawn anew" symbol="3" render="true"/>
   <category value="unclear" label="Cannot tell" symbol="6" render="true"/>
   <category value="own" label="Own outline" symbol="4" render="true"/>
   <category value="withdraw" label="Withdrawn" symbol="5" render="true"/>
  </categories>
  <symbols>
   <symbol name="0" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="255,255,255,40"/>
      <Option name="style" type="QString" value="solid"/>
      <Option name="outline_color" type="QString" value="0,0,0,255"/>
      <Option name="outline_style" type="QString" value="dash"/>
      <Option name="outline_width" type="QString" value="0.5"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="1" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="0,158,115,110"/>
      <Option name="style" type="QString" value="solid"/>
      <Option name="outline_color" type="QString" value="0,158,115,255"/>
      <Option name="outline_style" type="QString" value="solid"/>
      <Option name="outline_width" type="QString" value="0.5"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="2" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="213,94,0,255"/>
      <Option name="style" type="QString" value="f_diagonal"/>
      <Option name="outline_color" type="QString" value="213,94,0,255"/>
      <Option name="outline_style" type="QString" value="solid"/>
      <Option name="outline_width" type="QString" value="0.5"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="3" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="86,180,233,130"/>
      <Option name="style" type="QString" value="solid"/>
      <Option name="outline_color" type="QString" value="0,114,178,255"/>
      <Option name="outline_style" type="QString" value="solid"/>
      <Option name="outline_width" type="QString" value="0.5"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="4" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="204,121,167,255"/>
      <Option name="style" type="QString" value="no"/>
      <Option name="outline_color" type="QString" value="204,121,167,255"/>
      <Option name="outline_style" type="QString" value="solid"/>
      <Option name="outline_width" type="QString" value="0.8"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="5" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="153,153,153,255"/>
      <Option name="style" type="QString" value="b_diagonal"/>
      <Option name="outline_color" type="QString" value="153,153,153,255"/>
      <Option name="outline_style" type="QString" value="dot"/>
      <Option name="outline_width" type="QString" value="0.5"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
   <symbol name="6" type="fill" alpha="1">
    <layer class="SimpleFill" enabled="1" pass="0">
     <Option type="Map">
      <Option name="color" type="QString" value="117,112,179,255"/>
      <Option name="style" type="QString" value="no"/>
      <Option name="outline_color" type="QString" value="117,112,179,255"/>
      <Option name="outline_style" type="QString" value="dash"/>
      <Option name="outline_width" type="QString" value="0.8"/>
      <Option name="outline_width_unit" type="QString" value="MM"/>
     </Option>
    </layer>
   </symbol>
  </symbols>
 </renderer-v2>
 <labeling type="simple">
  <settings calloutType="simple">
   <text-style fieldName="&quot;object_id&quot; || coalesce('\n' || &quot;decision&quot; || ', ' || &quot;analyst&quot;, '')" isExpression="1" fontSize="8" fontSizeUnit="Point" textColor="0,0,0,255" textOpacity="1" namedStyle="" multilineHeight="1">
    <text-buffer bufferDraw="1" bufferSize="0.9" bufferSizeUnits="MM" bufferColor="255,255,255,255" bufferOpacity="1" bufferNoFill="1"/>
   </text-style>
   <text-format multilineAlign="1"/>
   <placement placement="8" dist="1" distUnits="MM" polygonPlacementFlags="2" priority="5"/>
   <rendering scaleVisibility="1" scaleMin="1" scaleMax="25000" drawLabels="1" obstacle="0" fontMinPixelSize="3" fontMaxPixelSize="10000" limitNumLabels="0" maxNumLabels="2000" upsidedownLabels="0"/>
  </settings>
 </labeling>
 <fieldConfiguration>
  <field name="review_id">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="object">
   <editWidget type="ValueMap">
    <config>
     <Option type="Map">
      <Option name="map" type="List">
       <Option type="Map"><Option name="Pile found by us" type="QString" value="pile"/></Option>
       <Option type="Map"><Option name="Gain of ground found by us" type="QString" value="ground"/></Option>
       <Option type="Map"><Option name="Own perimeter" type="QString" value="own_perimeter"/></Option>
       <Option type="Map"><Option name="Own pile" type="QString" value="own_pile"/></Option>
       <Option type="Map"><Option name="Own yard" type="QString" value="own_yard"/></Option>
      </Option>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="object_id">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="year">
   <editWidget type="Range">
    <config>
     <Option type="Map">
      <Option name="AllowNull" type="bool" value="true"/>
      <Option name="Min" type="int" value="1950"/>
      <Option name="Max" type="int" value="2100"/>
      <Option name="Step" type="int" value="1"/>
      <Option name="Precision" type="int" value="0"/>
      <Option name="Style" type="QString" value="SpinBox"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="decision">
   <editWidget type="ValueMap">
    <config>
     <Option type="Map">
      <Option name="map" type="List">
       <Option type="Map"><Option name="(waits)" type="QString" value="{2839923C-8B7D-419E-B84B-CA2FE9B80EC7}"/></Option>
       <Option type="Map"><Option name="Accept: it is what it is called" type="QString" value="accept"/></Option>
       <Option type="Map"><Option name="Reject: it is not (own pile: not there in this year)" type="QString" value="reject"/></Option>
       <Option type="Map"><Option name="Edit: it is, with the outline as I drew it" type="QString" value="edit"/></Option>
       <Option type="Map"><Option name="Cannot tell (for all years, or the year given)" type="QString" value="unclear"/></Option>
       <Option type="Map"><Option name="Own outline" type="QString" value="own"/></Option>
       <Option type="Map"><Option name="Withdraw my decision" type="QString" value="withdraw"/></Option>
      </Option>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="reason">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="analyst">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="reviewed_on">
   <editWidget type="DateTime">
    <config>
     <Option type="Map">
      <Option name="allow_null" type="bool" value="true"/>
      <Option name="calendar_popup" type="bool" value="true"/>
      <Option name="display_format" type="QString" value="yyyy-MM-dd"/>
      <Option name="field_format" type="QString" value="yyyy-MM-dd"/>
      <Option name="field_iso_format" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="imagery">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="source">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="source_date">
   <editWidget type="DateTime">
    <config>
     <Option type="Map">
      <Option name="allow_null" type="bool" value="true"/>
      <Option name="calendar_popup" type="bool" value="true"/>
      <Option name="display_format" type="QString" value="yyyy-MM-dd"/>
      <Option name="field_format" type="QString" value="yyyy-MM-dd"/>
      <Option name="field_iso_format" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="uncertainty_m">
   <editWidget type="Range">
    <config>
     <Option type="Map">
      <Option name="AllowNull" type="bool" value="true"/>
      <Option name="Min" type="double" value="0"/>
      <Option name="Max" type="double" value="1000"/>
      <Option name="Step" type="double" value="1"/>
      <Option name="Precision" type="int" value="1"/>
      <Option name="Style" type="QString" value="SpinBox"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="machine_year">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="machine_area_m2">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="machine_area_lo95_m2">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="machine_area_hi95_m2">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
  <field name="machine_tier">
   <editWidget type="TextEdit">
    <config>
     <Option type="Map">
      <Option name="IsMultiline" type="bool" value="false"/>
      <Option name="UseHtml" type="bool" value="false"/>
     </Option>
    </config>
   </editWidget>
  </field>
 </fieldConfiguration>
 <aliases>
  <alias index="1" field="review_id" name="Row"/>
  <alias index="2" field="object" name="What it is"/>
  <alias index="3" field="object_id" name="Name"/>
  <alias index="4" field="year" name="Year (empty: all years)"/>
  <alias index="5" field="decision" name="Decision"/>
  <alias index="6" field="reason" name="Reason"/>
  <alias index="7" field="analyst" name="Reviewer"/>
  <alias index="8" field="reviewed_on" name="Day of the decision"/>
  <alias index="9" field="imagery" name="Imagery looked at"/>
  <alias index="10" field="source" name="Drawn on (source)"/>
  <alias index="11" field="source_date" name="Day of that source"/>
  <alias index="12" field="uncertainty_m" name="Edge known within, m (95 %)"/>
  <alias index="13" field="machine_year" name="Year of our outline"/>
  <alias index="14" field="machine_area_m2" name="Our area, m²"/>
  <alias index="15" field="machine_area_lo95_m2" name="Our area, lower bound (95 %), m²"/>
  <alias index="16" field="machine_area_hi95_m2" name="Our area, upper bound (95 %), m²"/>
  <alias index="17" field="machine_tier" name="Our tier"/>
 </aliases>
 <defaults>
  <default field="object_id" expression="'own-' || lower(substr(uuid(), 2, 8))" applyOnUpdate="0"/>
  <default field="decision" expression="CASE WHEN &quot;object&quot; IN ('pile', 'ground') THEN NULL ELSE 'own' END" applyOnUpdate="0"/>
  <default field="reviewed_on" expression="CASE WHEN &quot;object&quot; IN ('pile', 'ground') THEN NULL ELSE to_date(now()) END" applyOnUpdate="0"/>
 </defaults>
 <constraints>
  <constraint field="object" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="object_id" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="decision" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="reason" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="analyst" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="reviewed_on" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="imagery" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="source" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="source_date" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
  <constraint field="uncertainty_m" constraints="4" notnull_strength="0" unique_strength="0" exp_strength="1"/>
 </constraints>
 <constraintExpressions>
  <constraint field="object" exp='"object" IS NOT NULL' desc="Say what was drawn."/>
  <constraint field="object_id" exp='length(trim("object_id")) &gt; 0' desc="Give it a name."/>
  <constraint field="decision" exp="&quot;decision&quot; IS NULL OR CASE WHEN &quot;object&quot; = 'pile' THEN &quot;decision&quot; &lt;&gt; 'own' WHEN &quot;object&quot; = 'ground' THEN &quot;decision&quot; NOT IN ('own', 'unclear') WHEN &quot;object&quot; = 'own_pile' THEN &quot;decision&quot; IN ('own', 'reject', 'withdraw') ELSE &quot;decision&quot; IN ('own', 'withdraw') END" desc="Accept, reject or edit what we found; own outline for what you drew yourself."/>
  <constraint field="reason" exp="coalesce(&quot;decision&quot;, '') NOT IN ('reject', 'edit', 'unclear', 'withdraw') OR length(trim(&quot;reason&quot;)) &gt; 0" desc="Say why, in a sentence."/>
  <constraint field="analyst" exp='"decision" IS NULL OR length(trim("analyst")) &gt; 0' desc="Name the reviewer who decides."/>
  <constraint field="reviewed_on" exp='"decision" IS NULL OR ("reviewed_on" IS NOT NULL AND "reviewed_on" &lt;= to_date(now()))' desc="The day of the decision, not later than today."/>
  <constraint field="imagery" exp="&quot;decision&quot; IS NULL OR &quot;decision&quot; IN ('own', 'withdraw') OR length(trim(&quot;imagery&quot;)) &gt; 0" desc="Say what was looked at, with its date."/>
  <constraint field="source" exp="coalesce(&quot;decision&quot;, '') &lt;&gt; 'own' OR length(trim(&quot;source&quot;)) &gt; 0" desc="Say what the outline was drawn on."/>
  <constraint field="source_date" exp="coalesce(&quot;decision&quot;, '') &lt;&gt; 'own' OR &quot;source_date&quot; IS NOT NULL" desc="The day the source shows."/>
  <constraint field="uncertainty_m" exp="coalesce(&quot;decision&quot;, '') NOT IN ('edit', 'own') OR &quot;uncertainty_m&quot; &gt; 0" desc="Within how many metres does the true edge lie?"/>
 </constraintExpressions>
 <editorlayout>tablayout</editorlayout>
 <attributeEditorForm>
  <attributeEditorContainer name="Object" columnCount="1" groupBox="1" showLabel="1" visibilityExpressionEnabled="0" visibilityExpression="">
   <attributeEditorField index="2" name="object" showLabel="1"/>
   <attributeEditorField index="3" name="object_id" showLabel="1"/>
   <attributeEditorField index="4" name="year" showLabel="1"/>
  </attributeEditorContainer>
  <attributeEditorContainer name="What we measured" columnCount="1" groupBox="1" showLabel="1" visibilityExpressionEnabled="1" visibilityExpression="&quot;object&quot; IN ('pile', 'ground')">
   <attributeEditorField index="13" name="machine_year" showLabel="1"/>
   <attributeEditorField index="14" name="machine_area_m2" showLabel="1"/>
   <attributeEditorField index="15" name="machine_area_lo95_m2" showLabel="1"/>
   <attributeEditorField index="16" name="machine_area_hi95_m2" showLabel="1"/>
   <attributeEditorField index="17" name="machine_tier" showLabel="1"/>
  </attributeEditorContainer>
  <attributeEditorContainer name="Decision" columnCount="1" groupBox="1" showLabel="1" visibilityExpressionEnabled="0" visibilityExpression="">
   <attributeEditorField index="5" name="decision" showLabel="1"/>
   <attributeEditorField index="6" name="reason" showLabel="1"/>
   <attributeEditorField index="7" name="analyst" showLabel="1"/>
   <attributeEditorField index="8" name="reviewed_on" showLabel="1"/>
   <attributeEditorField index="9" name="imagery" showLabel="1"/>
  </attributeEditorContainer>
  <attributeEditorContainer name="Your outline" columnCount="1" groupBox="1" showLabel="1" visibilityExpressionEnabled="1" visibilityExpression="&quot;decision&quot; IN ('edit', 'own')">
   <attributeEditorField index="12" name="uncertainty_m" showLabel="1"/>
   <attributeEditorField index="10" name="source" showLabel="1"/>
   <attributeEditorField index="11" name="source_date" showLabel="1"/>
  </attributeEditorContainer>
 </attributeEditorForm>
 <editable>
  <field name="review_id" editable="0"/>
  <field name="object" editable="1"/>
  <field name="object_id" editable="1"/>
  <field name="year" editable="1"/>
  <field name="decision" editable="1"/>
  <field name="reason" editable="1"/>
  <field name="analyst" editable="1"/>
  <field name="reviewed_on" editable="1"/>
  <field name="imagery" editable="1"/>
  <field name="source" editable="1"/>
  <field name="source_date" editable="1"/>
  <field name="uncertainty_m" editable="1"/>
  <field name="machine_year" editable="0"/>
  <field name="machine_area_m2" editable="0"/>
  <field name="machine_area_lo95_m2" editable="0"/>
  <field name="machine_area_hi95_m2" editable="0"/>
  <field name="machine_tier" editable="0"/>
 </editable>
 <previewExpression>"object" || ' ' || "object_id"</previewExpression>
 <mapTip>&lt;b&gt;[% replace(coalesce("object_id", ''), map('&amp;', '&amp;amp;', '&lt;', '&amp;lt;')) %]&lt;/b&gt;&lt;br&gt;[% coalesce("decision", 'waits for a decision') %] [% replace(coalesce("analyst", ''), map('&amp;', '&amp;amp;', '&lt;', '&amp;lt;')) %]&lt;br&gt;our area in [% "machine_year" %]: [% format_number("machine_area_m2", 0, 'en') %] m² ([% format_number("machine_area_lo95_m2", 0, 'en') %] to [% format_number("machine_area_hi95_m2", 0, 'en') %])</mapTip>
</qgis>
